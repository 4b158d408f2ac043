<?php
// SPDX-License-Identifier: LGPL-2.1-or-later
// Counts its visitors in /tmp, which is the site's own, in memory, and gone when the site is cold.
$counter = fopen('/tmp/visitors', 'c+');
flock($counter, LOCK_EX);
$visitors = (int)fgets($counter) + 1;
rewind($counter);
fwrite($counter, "$visitors\n");
fclose($counter);

header('Content-Type: text/plain');
echo 'PHP ', PHP_VERSION, ", visitor $visitors\n";
