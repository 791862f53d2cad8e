"""Looks through a directory of Cerbos policies for what bites: on top of Cerbos's compiler and the policies' own tests."""
