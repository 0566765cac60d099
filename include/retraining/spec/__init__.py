"""What a person types: one YAML per model, checked key by key."""

from retraining.spec.load import FrozenSpec, find_models, freeze, load, spec_key, thaw, without_documentation
from retraining.spec.model import Spec

__all__ = ["FrozenSpec", "Spec", "find_models", "freeze", "load", "spec_key", "thaw", "without_documentation"]
