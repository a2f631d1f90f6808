"""Runs apps in weather: load, experiment, runs, game day."""
