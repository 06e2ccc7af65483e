"""Exchange with other frameworks."""

from minires.interop.pytorch import load_torch_state_dict, to_torch_state_dict
