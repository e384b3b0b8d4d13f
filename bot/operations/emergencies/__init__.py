"""Emergencies: access first, a review afterwards."""
