"""Reading the logs of attempts from where agents push them: a folder, or S3."""
