"""The subcommands of `stepup-phone`, a module for each group, imported when called."""
