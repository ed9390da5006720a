"""The checks of scripts/tidy. Each yields nothing and adds its findings to `tree.findings`."""
