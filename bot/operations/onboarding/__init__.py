"""Onboarding ramps: planning, starting, opening stages, pausing, ending, and describing them."""
