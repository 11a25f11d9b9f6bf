"""The server's judgement: pure checks over evidence. `table` lists them all and runs them."""
