/*
 * Paths: directories, links, permissions, the working directory.
 */
#include "support.h"
#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <utime.h>

static int
mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? (int) (st.st_mode & 07777) : -1;
}

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

static void
list(const char *path)
{
	char		names[50][64];
	int			n = 0;
	DIR		   *dir = opendir(path);
	struct dirent *entry;

	CHECK(dir != NULL);
	errno = 0;
	while ((entry = readdir(dir)) != NULL)
		snprintf(names[n++], 64, "%s", entry->d_name);
	CHECK(errno == 0);
	rewinddir(dir);
	CHECK(readdir(dir) != NULL && closedir(dir) == 0);
	qsort(names, n, 64, by_name);
	for (int i = 0; i < n; i++)
		say("%s ", names[i]);
	say("\n");
}

static void
touch(const char *path)
{
	int			fd = open(path, O_WRONLY | O_CREAT, 0666);

	CHECK(fd >= 0 && write(fd, "touch", 5) == 5 && close(fd) == 0);
}

/* In the working directory, which is argv[1] and empty. */
static int
command_tree(int argc, char **argv)
{
	char		path[PATH_MAX];
	char		other[PATH_MAX];
	char		wrong[] = "x";
	char		template[] = "temporaryXXXXXX";
	char		folder[] = "folderXXXXXX";
	char	   *found;
	struct stat a,
				b;
	struct timeval times[2] = {{1000, 0}, {2000, 500000}};
	struct utimbuf both = {3000, 4000};

	CHECK(chdir(argv[1]) == 0);
	umask(022);
	say("%o ", umask(027));
	CHECK(mkdir("d", 0777) == 0 && mkdir("d", 0777) == -1 && errno == EEXIST);
	touch("d/f");
	say("%o %o ", mode_of("d"), mode_of("d/f"));
	CHECK(chmod("d/f", 0604) == 0);
	say("%o\n", mode_of("d/f"));
	CHECK(chdir("d") == 0 && getcwd(path, sizeof path) != NULL);
	say("%d ", strcmp(path + strlen(path) - 2, "/d"));
	CHECK(getcwd(path, 2) == NULL && errno == ERANGE);
	found = getcwd(NULL, 0);
	CHECK(found && strcmp(found + strlen(found) - 2, "/d") == 0);
	free(found);
	CHECK(chdir("f") == -1 && errno == ENOTDIR && chdir("none") == -1 && errno == ENOENT);
	CHECK(stat("../d/./f", &a) == 0 && stat("f", &b) == 0 && a.st_ino == b.st_ino && a.st_size == 5);
	CHECK(symlink("f", "link") == 0 && readlink("link", path, sizeof path) == 1 && path[0] == 'f');
	CHECK(lstat("link", &a) == 0 && S_ISLNK(a.st_mode) && stat("link", &a) == 0 && S_ISREG(a.st_mode));
	CHECK(link("f", "second") == 0 && stat("f", &a) == 0 && a.st_nlink == 2);
	CHECK(realpath("link", path) && realpath("f", other) && strcmp(path, other) == 0);
	found = realpath("..", NULL);
	CHECK(found != NULL);
	free(found);
	CHECK(realpath("none", path) == NULL && errno == ENOENT);
	list(".");
	CHECK(rename("second", "third") == 0 && access("second", F_OK) == -1 && access("third", R_OK | W_OK) == 0);
	CHECK(truncate("third", 2) == 0 && stat("f", &a) == 0 && a.st_size == 2);
	CHECK(utimes("f", times) == 0 && stat("f", &a) == 0 && a.st_mtime == 2000);
	CHECK(utime("f", &both) == 0 && stat("f", &a) == 0 && a.st_mtime == 4000 && a.st_atime == 3000);
	CHECK(utime("f", NULL) == 0 && stat("f", &a) == 0 && a.st_mtime > 1000000);
	CHECK(chdir("..") == 0);
	CHECK(rmdir("d") == -1 && errno == ENOTEMPTY && unlink("d") == -1);
	CHECK(remove("d/third") == 0 && unlink("d/link") == 0 && unlink("d/f") == 0 && remove("d") == 0);
	CHECK(mkstemp(wrong) == -1 && errno == EINVAL);
	CHECK(mkstemp(template) >= 0 && strcmp(template, "temporaryXXXXXX") != 0 && mode_of(template) == 0600);
	CHECK(mkdtemp(folder) == folder && mode_of(folder) == 0700);
	CHECK(unlink(template) == 0 && rmdir(folder) == 0);
	CHECK(opendir("none") == NULL && errno == ENOENT);
	CHECK(symlink("loop", "loop") == 0 && open("loop", O_RDONLY) == -1 && errno == ELOOP && unlink("loop") == 0);
	list(".");
	return 0;
}

/* What argv[1] looks like from here. */
static int
command_try(int argc, char **argv)
{
	struct stat st;
	char		path[PATH_MAX];

	say("%s ", stat(argv[1], &st) == 0 ? "there" : error_name(errno));
	say("%s ", open(argv[1], O_RDONLY) >= 0 ? "opened" : error_name(errno));
	snprintf(path, sizeof path, "%s/new", argv[1]);
	say("%s ", mkdir(path, 0700) == 0 ? "made" : error_name(errno));
	say("%s ", chdir(argv[1]) == 0 ? "in" : error_name(errno));
	say("%s\n", opendir(argv[1]) ? "listed" : error_name(errno));
	return 0;
}

/* The working directory and the mask are inherited and then one's own. */
static int
command_inherit(int argc, char **argv)
{
	CHECK(chdir(argv[1]) == 0 && mkdir("sub", 0700) == 0 && chdir("sub") == 0);
	umask(077);
	say("%d ", finish(start("paths", "inherited", NULL, NULL)));
	say("%d %o\n", access("made", F_OK) == 0, umask(0));
	CHECK(rmdir("made") == 0 && chdir("..") == 0 && rmdir("sub") == 0);
	return 0;
}

static int
command_inherited(int argc, char **argv)
{
	CHECK(mkdir("made", 0777) == 0);
	say("%o ", mode_of("made"));
	CHECK(chdir("..") == 0);
	umask(0);
	return 0;
}

/* Who we are, and whose our files are. */
static int
command_owner(int argc, char **argv)
{
	struct stat st;

	CHECK(chdir(argv[1]) == 0);
	touch("owned");
	CHECK(stat("owned", &st) == 0 && st.st_uid == getuid() && getuid() == geteuid() && getuid() != 0);
	CHECK(chown("owned", getuid(), getgid()) == 0 && unlink("owned") == 0);
	say("done\n");
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"tree", command_tree}, {"try", command_try}, {"inherit", command_inherit}, {"inherited", command_inherited},
		{"owner", command_owner}, {NULL, NULL}
	};

	return dispatch(commands, argc, argv);
}
