"""Studies: what practitioners say of transfer, each asked of real data and answered with numbers.

A study is a file of its own: a question, `run`, which measures and keeps each result as soon as it is there, and
`section`, which makes its part of the report of what is in the store and of nothing else.
"""

from fewshot.transfer.studies.study import Study, list_studies, load_study

__all__ = ["Study", "list_studies", "load_study"]
