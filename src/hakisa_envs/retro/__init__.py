"""Games on emulated consoles. Importing this package opens no emulator."""
