/*
 * pglite_compat.h: the interface of the draft: a query through the memory area, one through a file, one as text.
 *
 *   cc compat.c $(pkg-config --cflags --libs pglite) -o compat && PREFIX=/tmp/my-prefix ./compat
 */
#include <pglite_compat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A simple query: Q, the length, the text, a zero. Returns the size of the message. */
static int
query(char *to, const char *sql)
{
	size_t		length = strlen(sql) + 5;

	to[0] = 'Q';
	for (int i = 0; i < 4; i++)
		to[1 + i] = (char) (length >> (24 - 8 * i));
	memcpy(to + 5, sql, length - 4);
	return (int) length + 1;
}

/* The types of the messages in a reply. */
static void
print_types(const char *label, const unsigned char *reply, long size)
{
	printf("%s: ", label);
	for (long at = 0; at + 5 <= size;)
	{
		putchar(reply[at]);
		at += 1 + (long) ((unsigned) reply[at + 1] << 24 | reply[at + 2] << 16 | reply[at + 3] << 8 | reply[at + 4]);
	}
	printf("\n");
}

int
main(void)
{
	const char *data = getenv("PGDATA"),
			   *prefix = getenv("PREFIX");
	char		base[1024],
				path[2048],
				to[2048];
	int			bits = pgl_initdb();
	char	   *cma = pgl_cma();

	if (bits & IDB_FAILED || pg_conf("work_mem", "8MB") != 0 || pgl_backend() != 0)
		return 1;
	printf("%s%s\n", bits & IDB_CALLED ? "created" : "resumed", bits & IDB_HASUSER ? ", the user exists" : "");
	use_wire(1);

	/* The memory area: the query at offset 1, a byte of gap, the reply. */
	int			length = query(cma + 1, "SELECT current_setting('work_mem')");

	interactive_write(length);
	interactive_one();
	print_types("memory", (unsigned char *) cma + 2 + length, interactive_read());

	/* More than fits: the whole reply is in a file. */
	length = query(cma + 1, "SELECT repeat('x', 1000000) FROM generate_series(1, 20)");
	interactive_write(length);
	interactive_one();

	int			number = -interactive_read();

	if (number <= 0)
		return 1;
	snprintf(base, sizeof(base), "%s", data ? data : "");
	if (!data)
		snprintf(base, sizeof(base), "%s/base", prefix ? prefix : "/tmp/pglite");
	snprintf(path, sizeof(path), "%s/.s.PGSQL.5432.out.%d", base, number);

	FILE	   *file = fopen(path, "rb");

	if (file == NULL || fseek(file, 0, SEEK_END) != 0)
		return 1;
	printf("overflow: %ld bytes\n", ftell(file));
	fclose(file);
	remove(path);

	/* The file transport: written under another name, and renamed. */
	char		message[100];

	length = query(message, "SELECT 1; SELECT 1/0");
	snprintf(path, sizeof(path), "%s/.s.PGSQL.5432.lock.in", base);
	snprintf(to, sizeof(to), "%s/.s.PGSQL.5432.in", base);
	file = fopen(path, "wb");
	if (file == NULL || fwrite(message, (size_t) length, 1, file) != 1 || fclose(file) != 0 || rename(path, to) != 0)
		return 1;
	interactive_one();
	snprintf(path, sizeof(path), "%s/.s.PGSQL.5432.out", base);
	file = fopen(path, "rb");

	unsigned char reply[1000];

	if (file == NULL)
		return 1;
	print_types("file", reply, (long) fread(reply, 1, sizeof(reply), file));
	fclose(file);
	remove(path);

	/* Text: what psql would print, on standard output. */
	fflush(stdout);
	use_wire(0);
	strcpy(cma + 1, "SELECT 1 AS one, 'text' AS two;\nSELECT 1/0;\n");
	interactive_one();
	pgl_shutdown();
	return 0;
}
