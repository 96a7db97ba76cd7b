"""How are arrays and models of other libraries taken in? One file a library, imported when one is met."""
