/* The part of termcap's interface that libedit uses; see termcap.c. */
int			tgetent(char *buffer, const char *terminal);
int			tgetflag(const char *name);
int			tgetnum(const char *name);
char	   *tgetstr(const char *name, char **area);
char	   *tgoto(const char *capability, int column, int line);
int			tputs(const char *string, int lines, int (*put)(int));
