"""Any transport of ours behind a real port: the connection, the application on it, and the server around both."""
