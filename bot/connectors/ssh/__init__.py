"""The connector for SSH certificates."""
