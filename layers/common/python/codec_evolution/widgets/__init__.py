"""HTML widgets, for the CloudWatch dashboard and the local page alike. They read and never act."""
