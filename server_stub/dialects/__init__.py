"""The three step-up APIs: routes, shapes and error tables. They share the relying party and never import each other."""
