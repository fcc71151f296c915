"""The applications that are measured besides ours."""
