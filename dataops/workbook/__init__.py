"""What runs in Jupyter: tables, pictures, reports. Calls core and handlers, never the reverse."""
