"""What stands in for images that cannot be pulled: made from Debian, the Maven jars and a few lines of our own."""
