"""Grants: begin, renew, end, remind."""
