"""Mobile applications and their endpoints: who can be reached by push, and by whose service."""
