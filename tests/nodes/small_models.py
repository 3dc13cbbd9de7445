"""What the small random models of the tests are called with."""

LENGTH, LAYERS = 256, (1, 2, 3)  # a token is a byte here: dev's system message alone has 168
