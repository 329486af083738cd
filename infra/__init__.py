"""The CDK app, the local default and the command line."""
