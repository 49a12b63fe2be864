"""How networks learn: options, rules, loop."""
