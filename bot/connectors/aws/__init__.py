"""The connector for AWS IAM Identity Center."""
