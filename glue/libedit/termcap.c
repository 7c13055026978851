/*
 * What libedit wants to know of a terminal, without a database of terminals: all that are in use take ECMA-48's control sequences
 * for these few things. One that is called "dumb", or nothing, can do none of it; libedit then edits as far as it gets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "termcap.h"

static const char *const strings[][2] = {
	{"bl", "\a"}, {"cd", "\033[J"}, {"ce", "\033[K"}, {"cl", "\033[H\033[J"}, {"ho", "\033[H"},
	{"ch", "\033[%i%dG"}, {"UP", "\033[%dA"}, {"DO", "\033[%dB"}, {"RI", "\033[%dC"}, {"LE", "\033[%dD"},
	{"up", "\033[A"}, {"nd", "\033[C"},
	{"IC", "\033[%d@"}, {"ic", "\033[@"}, {"DC", "\033[%dP"}, {"dc", "\033[P"}, {"al", "\033[L"}, {"dl", "\033[M"},
	{"md", "\033[1m"}, {"so", "\033[7m"}, {"se", "\033[27m"}, {"us", "\033[4m"}, {"ue", "\033[24m"}, {"me", "\033[m"},
	{"ku", "\033OA"}, {"kd", "\033OB"}, {"kr", "\033OC"}, {"kl", "\033OD"},
	{"kh", "\033OH"}, {"@7", "\033OF"}, {"kD", "\033[3~"},
};

static int dumb;

int
tgetent(char *buffer, const char *terminal)
{
	(void) buffer;
	dumb = terminal == NULL || *terminal == '\0' || strcmp(terminal, "dumb") == 0 || strcmp(terminal, "unknown") == 0;
	return !dumb;
}

int
tgetflag(const char *name)
{
	/* lines wrap, but not before a character follows the last one */
	return !dumb && (strcmp(name, "am") == 0 || strcmp(name, "xn") == 0);
}

int
tgetnum(const char *name)
{
	/* for where the terminal itself does not tell */
	return strcmp(name, "co") == 0 ? 80 : strcmp(name, "li") == 0 ? 24 : -1;
}

char *
tgetstr(const char *name, char **area)
{
	(void) area;
	for (size_t i = 0; !dumb && i < sizeof strings / sizeof strings[0]; i++)
		if (strcmp(strings[i][0], name) == 0)
			return (char *) strings[i][1];
	return NULL;
}

char *
tgoto(const char *capability, int column, int line)
{
	static char buffer[32];
	int arguments[] = {line, column};
	size_t used = 0, length = 0;

	for (const char *c = capability; *c != '\0' && length < sizeof buffer - 12; c++)
	{
		if (*c != '%')
			buffer[length++] = *c;
		else if (*++c == 'i')
			arguments[0]++, arguments[1]++;
		else if (used < 2)
			length += sprintf(buffer + length, "%d", arguments[used++]);
	}
	buffer[length] = '\0';
	return buffer;
}

int
tputs(const char *string, int lines, int (*put)(int))
{
	(void) lines;
	while (*string != '\0')
		put((unsigned char) *string++);
	return 0;
}
