"""Adapters: the only importers of boto3, anthropic and github."""
