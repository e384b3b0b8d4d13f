"""The weekly digest: when it is sent, and the facts that it is made of."""
