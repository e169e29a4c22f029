"""Segment's and PostHog's ways in for events, as strict as their documents."""

from emulators.analytics.emulator import AnalyticsEmulator

__all__ = ["AnalyticsEmulator"]
