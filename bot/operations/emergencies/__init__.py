"""Break-glass: access first, a review afterwards."""
