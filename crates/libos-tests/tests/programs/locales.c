/*
 * Locale, time, users.
 */
#include "support.h"
#include <ctype.h>
#include <langinfo.h>
#include <locale.h>
#include <pwd.h>
#include <grp.h>
#include <wctype.h>

static int
command_locale(int argc, char **argv)
{
	locale_t	one,
				before;

	say("%s ", setlocale(LC_ALL, NULL));
	say("%s ", nl_langinfo(CODESET));
	say("%s ", setlocale(LC_ALL, "no_SUCH.locale") ? "?" : "none");
	say("%s ", setlocale(LC_CTYPE, "C.UTF-8"));
	say("%s ", nl_langinfo(CODESET));
	say("%d ", (int) MB_CUR_MAX);
	say("%s ", setlocale(LC_CTYPE, NULL));
	say("%s ", setlocale(LC_NUMERIC, NULL));
	say("%d ", iswalpha(0xe4) != 0);
	say("%s ", localeconv()->decimal_point);
	one = newlocale(LC_ALL_MASK, "C", NULL);
	CHECK(one != NULL);
	before = uselocale(one);
	say("%d %d ", before == LC_GLOBAL_LOCALE, (int) MB_CUR_MAX);
	CHECK(uselocale(LC_GLOBAL_LOCALE) == one);
	say("%d ", (int) MB_CUR_MAX);
	freelocale(one);
	say("%s\n", setlocale(LC_ALL, "C"));
	return 0;
}

/* Stays in the locale argv[1] and says what it sees, until its input ends. */
static int
command_stay(int argc, char **argv)
{
	char		c;

	CHECK(setlocale(LC_ALL, argv[1]));
	tell("set");
	CHECK(read(0, &c, 1) == 0);
	say("%s %d\n", nl_langinfo(CODESET), (int) MB_CUR_MAX);
	return 0;
}

/* Makes many and frees none. */
static int
command_litter(int argc, char **argv)
{
	for (int i = 0; i < 200; i++)
		CHECK(newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL) != NULL);
	return 0;
}

static int
command_time(int argc, char **argv)
{
	time_t		at = 1000000000;
	struct tm	t;
	char		text[100];
	struct timespec a,
				b;
	struct tm  *shared;

	CHECK(gmtime_r(&at, &t) == &t);
	strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %A", &t);
	say("%s ", text);
	shared = gmtime(&at);
	CHECK(shared->tm_year == 101 && mktime(&t) != -1);
	at = 0;
	CHECK(gmtime(&at) == shared && shared->tm_year == 70);
	CHECK(localtime(&at) != NULL && ctime(&at) != NULL && strlen(ctime(&at)) == 25);
	CHECK(clock_gettime(CLOCK_MONOTONIC, &a) == 0);
	milliseconds(10);
	CHECK(clock_gettime(CLOCK_MONOTONIC, &b) == 0);
	say("%d ", (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 >= 9);
	say("%d\n", time(NULL) > 1500000000);
	return 0;
}

static int
command_users(int argc, char **argv)
{
	struct passwd *p = getpwuid(getuid());
	struct passwd entry,
			   *found;
	char		buffer[1000];

	CHECK(p && p->pw_uid == getuid() && p->pw_gid == getgid() && p->pw_name && p->pw_dir);
	CHECK(getpwnam(p->pw_name) && getpwnam(p->pw_name)->pw_uid == getuid());
	CHECK(getpwnam("no such user") == NULL && getpwuid(54321) == NULL);
	CHECK(getpwuid_r(getuid(), &entry, buffer, sizeof buffer, &found) == 0 && found == &entry);
	CHECK(getgrgid(getgid()) && getgrgid(getgid())->gr_mem);
	say("%s\n", p->pw_name);
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"locale", command_locale}, {"stay", command_stay}, {"litter", command_litter}, {"time", command_time},
		{"users", command_users}, {NULL, NULL}
	};

	return dispatch(commands, argc, argv);
}
