-- A public library's database, as mysqldump would write it.
/*!40101 SET NAMES utf8mb4 */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
DROP DATABASE IF EXISTS `library`;
CREATE DATABASE `library` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;
USE `library`;

CREATE TABLE `branch` (
  `branch_id` int unsigned NOT NULL AUTO_INCREMENT,
  `name` varchar(60) NOT NULL,
  `opened` date DEFAULT NULL,
  PRIMARY KEY (`branch_id`)
) ENGINE=InnoDB;
INSERT INTO `branch` VALUES (1,'中央図書館; 本館','1971-05-01'),(2,'O\'Hara "Annex"',NULL),(7,'','2001-01-01');

CREATE TABLE `book` (
  `isbn` char(13) NOT NULL,
  `title` varchar(200) NOT NULL,
  `price` decimal(10,2) DEFAULT NULL,
  `note` text,
  PRIMARY KEY (`isbn`)
) ENGINE=InnoDB;
INSERT INTO `book` VALUES ('9784000000001','吾輩は猫である',1650.00,''),('9784000000002','Line\nbreak \\ backslash -- not a comment',NULL,NULL);
INSERT INTO `book` VALUES ('9784000000003','semi;colon /* no comment */ # neither',0.01,'it''s 🎌');

CREATE TABLE `copy` (
  `branch_id` int unsigned NOT NULL,
  `isbn` char(13) NOT NULL,
  `shelf` smallint NOT NULL,
  `bought_at` datetime(3) NOT NULL,
  PRIMARY KEY (`branch_id`,`isbn`,`shelf`),
  KEY `fk_book` (`isbn`),
  CONSTRAINT `copy_book` FOREIGN KEY (`isbn`) REFERENCES `book` (`isbn`),
  CONSTRAINT `copy_branch` FOREIGN KEY (`branch_id`) REFERENCES `branch` (`branch_id`) ON DELETE CASCADE
) ENGINE=InnoDB;
INSERT INTO `copy` VALUES (1,'9784000000001',-3,'2020-02-29 10:00:00.123'),(1,'9784000000001',4,'2020-02-29 10:00:00.000'),(2,'9784000000003',0,'1999-12-31 23:59:59.999');

CREATE TABLE `loan` (
  `member` varchar(40) COLLATE utf8mb4_bin NOT NULL,
  `loan_no` bigint NOT NULL,
  `fine` double DEFAULT NULL,
  `seen` int NOT NULL DEFAULT 0,
  PRIMARY KEY (`member`,`loan_no`)
) ENGINE=InnoDB;
DELIMITER ;;
CREATE TRIGGER `loan_seen` BEFORE INSERT ON `loan` FOR EACH ROW
BEGIN
  SET NEW.`seen` = NEW.`seen` + 1; -- one more; and a semicolon
END ;;
DELIMITER ;
INSERT INTO `loan` VALUES ('a',-1,0.1,0),('A',-1,NULL,1),('é',9223372036854775807,1e-7,0);

CREATE TABLE `card` (
  `number` varchar(20) NOT NULL,
  `holder` varchar(40) DEFAULT NULL,
  UNIQUE KEY `by_number` (`number`)
) ENGINE=InnoDB;
INSERT INTO `card` VALUES ('C-1','x'),('C-2',NULL),('C-3','');
/*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */;
