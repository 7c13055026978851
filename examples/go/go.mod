module pglite.example

go 1.21
