"""What Great Expectations' Data Docs look like here: readable offline, with severities and reasons, without scripts."""
