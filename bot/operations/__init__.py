"""The operations of the product, one folder for each subject. Each operation is one transaction."""
