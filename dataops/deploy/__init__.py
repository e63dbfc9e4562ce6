"""What goes to AWS: the zip, tables, the state machine."""
