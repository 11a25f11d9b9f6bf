"""Records in and out of the database, by what they are about. `server_stub.store.UnitOfWork` is all of them together."""
