"""What runs inside Lambda: the codec and its thin edges. Standard library, pymysql, msgspec and boto3 only."""
