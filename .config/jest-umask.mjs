// What a test makes for another user to read is readable, whoever runs it; tests of the umask set their own.
process.umask(0o022)
