"""Papers' numbers beside ours: one JSON file an experiment, read by `load_experiment`, run by `reproduce`."""

from fewshot.benchmark.experiments.adaptation import Adaptation, Adapted
from fewshot.benchmark.experiments.catalogue import (
    AnyExperiment,
    list_experiments,
    load_experiment,
    read_experiment,
    record,
)
from fewshot.benchmark.experiments.domain_transfer import DomainPair, DomainTransfer
from fewshot.benchmark.experiments.experiment import Data, Evaluation, Experiment, Part
from fewshot.benchmark.experiments.measured import AdaptedOurs, Measured, Ours
from fewshot.benchmark.experiments.page import (
    curves_figure,
    experiment_facts,
    experiment_rows,
    experiments_markdown,
    told_rows,
)
from fewshot.benchmark.experiments.published import Paper
from fewshot.benchmark.experiments.reproduction import reproduce, shortened

__all__ = [
    "Adaptation",
    "Adapted",
    "AdaptedOurs",
    "AnyExperiment",
    "Data",
    "DomainPair",
    "DomainTransfer",
    "Evaluation",
    "Experiment",
    "Measured",
    "Ours",
    "Paper",
    "Part",
    "curves_figure",
    "experiment_facts",
    "experiment_rows",
    "experiments_markdown",
    "list_experiments",
    "load_experiment",
    "read_experiment",
    "record",
    "reproduce",
    "shortened",
    "told_rows",
]
