"""What `dataops bench` measures: its table, a DynamoDB that keeps nothing, and each method's own process."""
