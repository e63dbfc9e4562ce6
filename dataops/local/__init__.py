"""The embedded stack: private MySQL servers, emulated AWS, the Lambda sandbox, sample data."""
