"""Classifiers from attributes: learned on seen classes, told of unseen ones by a row of a table."""

from fewshot.zeroshot.attributes.ale import ALE
from fewshot.zeroshot.attributes.conse import ConSE
from fewshot.zeroshot.attributes.dap import DAP
from fewshot.zeroshot.attributes.devise import DeViSE
from fewshot.zeroshot.attributes.eszsl import ESZSL
from fewshot.zeroshot.attributes.evaluation import AttributeScores, calibrate, evaluate_attributes
from fewshot.zeroshot.attributes.iap import IAP
from fewshot.zeroshot.attributes.method import AttributeMethod, AttributeModel
from fewshot.zeroshot.attributes.registry import (
    create_attribute_method,
    list_attribute_methods,
    register_attribute_method,
)
from fewshot.zeroshot.attributes.sae import SAE
from fewshot.zeroshot.attributes.sje import SJE
from fewshot.zeroshot.attributes.tables import AttributeTable, list_attribute_tables, load_attributes, read_attributes

__all__ = [
    "ALE",
    "DAP",
    "ESZSL",
    "IAP",
    "SAE",
    "SJE",
    "AttributeMethod",
    "AttributeModel",
    "AttributeScores",
    "AttributeTable",
    "ConSE",
    "DeViSE",
    "calibrate",
    "create_attribute_method",
    "evaluate_attributes",
    "list_attribute_methods",
    "list_attribute_tables",
    "load_attributes",
    "read_attributes",
    "register_attribute_method",
]
