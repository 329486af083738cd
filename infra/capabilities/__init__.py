"""One CDK construct a capability."""
