"""The experiments of scripts/bench, a module each: what is measured, on which servers, what is written."""
