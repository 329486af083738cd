"""The evolution loop: pure modules, planners and the adapters round them."""
