"""How the sources become the code bundles that Lambda runs, without Docker."""
