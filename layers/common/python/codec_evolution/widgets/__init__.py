"""HTML widgets for the CloudWatch dashboard and the local page. They only read."""
